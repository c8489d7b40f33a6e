-- A small restaurant for the demo, and a neighbour that must never see its traffic.
INSERT INTO users (id, name, email, role, status) VALUES
 ('cuserowner0000000000000001','Olive','olive@bistro.example','MANAGER','ACTIVE'),
 ('cuserserver000000000000002','Sam','sam@bistro.example','SERVER','ACTIVE'),
 ('cuserchef00000000000000003','Casey','casey@bistro.example','KITCHEN','ACTIVE'),
 ('cuserguest0000000000000005','Gil','gil@guest.example','CUSTOMER','ACTIVE'),
 ('cuserother0000000000000006','Pat','pat@diner.example','KITCHEN','ACTIVE');
INSERT INTO venues (id, name, slug) VALUES
 ('cvenuebistro00000000000001','Bistro One','bistro-one'),
 ('cvenuediner000000000000002','Diner Two','diner-two');
INSERT INTO venue_staff (id, venue_id, user_id, role) VALUES
 ('cstaff00000000000000000001','cvenuebistro00000000000001','cuserowner0000000000000001','OWNER'),
 ('cstaff00000000000000000002','cvenuebistro00000000000001','cuserserver000000000000002','SERVER'),
 ('cstaff00000000000000000003','cvenuebistro00000000000001','cuserchef00000000000000003','CHEF'),
 ('cstaff00000000000000000005','cvenuediner000000000000002','cuserother0000000000000006','CHEF');
INSERT INTO tables (id, venue_id, number) VALUES
 ('ctable00000000000000000001','cvenuebistro00000000000001','A1'),
 ('ctable00000000000000000002','cvenuebistro00000000000001','A2'),
 ('ctable00000000000000000003','cvenuebistro00000000000001','12'),
 ('ctable00000000000000000004','cvenuediner000000000000002','B7');
INSERT INTO tabs (id, venue_id, table_id, server_id, customer_id, tab_number, status) VALUES
 ('ctabbistro0000000000000001','cvenuebistro00000000000001','ctable00000000000000000001','cuserserver000000000000002','cuserguest0000000000000005',1,'OPEN'),
 ('ctabbistro0000000000000002','cvenuebistro00000000000001','ctable00000000000000000002','cuserserver000000000000002',NULL,2,'OPEN'),
 ('ctabbistro0000000000000003','cvenuebistro00000000000001','ctable00000000000000000003','cuserserver000000000000002',NULL,3,'OPEN'),
 ('ctabdiner00000000000000004','cvenuediner000000000000002','ctable00000000000000000004','cuserother0000000000000006',NULL,1,'OPEN');
